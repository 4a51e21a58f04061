# A thin front to meson and tools/; see README.md.
BUILD := build

.PHONY: all demo check check-k8s oracle bench fuzz format install clean

all: $(BUILD)/build.ninja
	ninja -C $(BUILD)

$(BUILD)/build.ninja:
	meson setup $(BUILD)

demo: all
	tools/demo $(BUILD)

check:
	tools/bootstrap check
	tools/check

# As root: a real Kubernetes node in namespaces of its own; see tools/check_k8s --help.
check-k8s: $(BUILD)/build.ninja
	tools/check_k8s $(BUILD) || test $$? = 77

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
