"""From the spectrum of a transient to what it is: type, redshift, age."""
