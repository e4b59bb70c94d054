"""One verb, one file. Each holds one click command of the verb's name; the shell loads only the one that is run."""
