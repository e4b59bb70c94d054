"""The product broken on purpose, one promise at a time: each break must turn a named test red."""
