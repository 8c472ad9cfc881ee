"""Facts: frozen values that every other package may use. No I/O, no clock, no decisions."""
