"""How the exposures of a field lie to each other: sources, pairs of images, the network of all."""
