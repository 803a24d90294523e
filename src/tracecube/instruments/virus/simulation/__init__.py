"""Physics of simulated nights of VIRUS: optics, light, sky, headers, and the truth about them."""
