"""Is the engine near the machine's limit? Ours against MONAI's sliding window and the bare network."""
