"""What tests and benchmarks stand on: real servers, fresh databases, served apps, the event stream."""
