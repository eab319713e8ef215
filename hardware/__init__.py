"""Drivers for arms, cameras and microphones, and the simulated work cell."""
