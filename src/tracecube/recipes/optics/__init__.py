"""Where light falls: traces, wavelengths, throughput, flexure."""
