"""MiDaS 2.1 small (Ranftl et al., TPAMI 2022) from its traced TorchScript file."""
