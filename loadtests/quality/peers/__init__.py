"""Other memories on the same data, in the same run, with the same embedder and no language model."""
