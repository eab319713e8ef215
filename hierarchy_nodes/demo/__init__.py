"""The demonstration: one task on the whole stack, and the record of it."""
