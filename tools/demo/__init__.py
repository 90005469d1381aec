"""What `make demo` works on: short rendered videos of a moving body."""
