# A thin front to meson and tools/; see README.md.
BUILD := build

.PHONY: all demo check oracle bench fuzz format install clean

all: $(BUILD)/build.ninja
	ninja -C $(BUILD)

$(BUILD)/build.ninja:
	meson setup $(BUILD)

demo: all
	tools/demo $(BUILD)

check:
	tools/bootstrap check
	tools/check

oracle: all
	ninja -C $(BUILD) oracle

bench: all
	tools/bench $(BUILD)

fuzz:
	tools/fuzz

format:
	tools/check_format --fix

install: all
	meson install -C $(BUILD)

clean:
	rm -rf $(BUILD) build-check build-fuzz
