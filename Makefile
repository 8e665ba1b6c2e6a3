# Thin: each target is one or two scripts. `make demo` is the place to start.
.PHONY: demo build check test bench fuzz fuzz-api

demo:
	@scripts/setup demo
	@scripts/build
	@scripts/demo

build:
	@scripts/setup build
	@scripts/build

check:
	@scripts/check

test:
	@scripts/test

# make bench only=cold_start
bench:
	@scripts/setup bench
	@scripts/build node22
	@scripts/bench $(if $(only),only=$(only))

# make fuzz seconds=600 target=token
fuzz:
	@scripts/setup fuzz
	@scripts/fuzz $(if $(seconds),seconds=$(seconds)) $(if $(target),target=$(target)) $(if $(keep),keep=$(keep))

# make fuzz-api cases=50000 seed=7
fuzz-api:
	@scripts/setup fuzz-api
	@scripts/build
	@scripts/fuzz-api $(if $(cases),cases=$(cases)) $(if $(seed),seed=$(seed))
