# Set-up, builds and checks; `make help` lists them. Everything is quick when nothing changed.
# Toolchains that the system lacks live in $GOSSAMER_CACHE (default ~/.cache/gossamer); the rest is in this folder.

SETUP := python3 tools/toolchain
# The environment's programs (ninja, ruff, clang-format) come first.
RUN := PATH="$(CURDIR)/.venv/bin:$$PATH"
PYTHON := $(RUN) .venv/bin/python
WASM_BUILDS := simd relaxed simd-threads relaxed-threads
MODULES := $(WASM_BUILDS:%=web/dist/gossamer-%.wasm) web/dist/gossamer.mjs web/dist/worker.mjs
WHEEL_SOURCES := $(shell find CMakeLists.txt pyproject.toml LICENSE README.md runtime arm wasm web tools/build_wheel.py \
                     -type f -not -path '*/__pycache__/*' -not -path 'web/dist/*')
SETUPS := setup-venv setup-emscripten setup-aarch64 setup-chromium setup-node setup-fuzzer setup-bench
BUILDS := build-native build-asan build-aarch64 build-fuzz $(WASM_BUILDS:%=build-wasm-%)

.DEFAULT_GOAL := help
.NOTPARALLEL:
.PHONY: help demo test bench wheels wasm fuzz clean $(SETUPS) $(BUILDS)

help:
	@echo 'make demo          serve the demo page until Ctrl-C'
	@echo 'make demo CHECK=1  check the demo page in a headless browser against native Python'
	@echo 'make test          run every test'
	@echo 'make bench         compare with other engines in a headless browser; QUICK=1 for a few minutes,'
	@echo '                   ARGS="--network mobilenet_v2 --write" for other networks, and to keep the figures'
	@echo 'make wheels        build the wheels of all targets into dist/'
	@echo 'make wasm          build the WebAssembly modules and what loads them into web/dist/'
	@echo 'make fuzz          feed broken model files to the loader for SECONDS=60'
	@echo 'make clean         remove what was built; .venv and toolchains stay'

ifeq ($(CHECK),1)
demo: setup-venv wasm setup-chromium
	$(PYTHON) tools/demo_check.py
else
demo: setup-venv wasm
	@$(RUN) .venv/bin/gossamer demo
endif

test: setup-venv setup-node setup-chromium wasm wheels build-native build-asan build-aarch64
	$(PYTHON) -m pytest

bench: setup-venv setup-chromium setup-bench wasm
	$(PYTHON) tools/bench $(if $(QUICK),--quick --rounds 3) $(ARGS)

wheels: dist/wheels.json

wasm: $(MODULES)

# Ends with an error, and the file that caused it in build/fuzz, when a model file crashes the engine.
SECONDS := 60
fuzz: setup-venv build-fuzz
	@$(PYTHON) tools/fuzz/seeds.py build/fuzz/corpus
	build/fuzz/model_fuzzer -max_total_time=$(SECONDS) -rss_limit_mb=6144 -artifact_prefix=build/fuzz/ \
	    -print_final_stats=1 build/fuzz/corpus

clean:
	rm -rf build dist web/dist

$(SETUPS): setup-%:
	@$(SETUP) $*

$(BUILDS): build-%: build/%/build.ninja
	@$(RUN) cmake --build build/$* -- --quiet

# Ninja itself configures again when a CMake file changed, but does not know of presets.
build/%/build.ninja: CMakePresets.json | setup-venv
	@$(RUN) cmake --preset $*
	@touch $@
$(WASM_BUILDS:%=build/wasm-%/build.ninja): | setup-emscripten
build/aarch64/build.ninja: | setup-aarch64
build/fuzz/build.ninja: | setup-fuzzer

# Ninja knows when a module is out of date; its time says whether it changed.
web/dist/gossamer-%.wasm: build-wasm-%
	@:

web/dist/gossamer.mjs: web/gossamer.mjs
web/dist/worker.mjs: web/src/worker.mjs
web/dist/%.mjs: tools/bundle.py $(wildcard web/src/*.mjs)
	python3 tools/bundle.py $(filter %/$*.mjs,$^) $@

dist/wheels.json: $(WHEEL_SOURCES) $(MODULES) | setup-venv setup-emscripten setup-aarch64
	$(PYTHON) tools/build_wheel.py native aarch64 pyodide
