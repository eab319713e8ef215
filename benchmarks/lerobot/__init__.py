"""LeRobot's diffusion policy and ours: same observations, data, training time and episodes."""
