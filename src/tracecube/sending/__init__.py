"""What leaves the machine: mail about a night, spectra for a survey. Nothing goes unasked, nor twice unknowingly."""
