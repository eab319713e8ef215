"""The diffusion controller: a small 3D policy that follows paths, masks and language motions."""
