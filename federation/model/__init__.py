"""Facts: frozen values that every other package may hold. No I/O, no clock, no decisions."""
