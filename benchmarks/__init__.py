"""What a request costs, beside a bare relay in the same rounds: `python -m benchmarks`."""
