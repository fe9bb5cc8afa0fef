"""Other proxies that a load test starts by name, on the same cores and in front of the same model."""
