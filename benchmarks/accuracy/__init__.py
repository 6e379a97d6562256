"""Does the adversary earn its place? The same network with and without it, at few labels, in stored runs."""
