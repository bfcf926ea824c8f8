# haul: make, make test, make install. PORTABLE=1 leaves out what only Linux has.

PREFIX ?= /usr/local
BUILD ?= build
CC ?= cc
CFLAGS ?= -O2 -g
PORTABLE ?= 0

# The flags that haul needs are added to the user's, never put in their place.
WARNINGS = -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wformat=2 \
	-Wstrict-prototypes -Wmissing-prototypes -Wswitch-enum \
	-Wwrite-strings -Wvla -Wundef
HARDENING = -fPIE -fstack-protector-strong
OPTIMIZED = $(filter -O1 -O2 -O3 -Os,$(CFLAGS))
FORTIFY = $(if $(findstring -fsanitize,$(CFLAGS)),,$(if $(OPTIMIZED),\
	-U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=2))
ALL_CPPFLAGS = -Isrc -D_POSIX_C_SOURCE=200809L -D_DEFAULT_SOURCE \
	-D_FILE_OFFSET_BITS=64 -D_TIME_BITS=64 $(FORTIFY) $(CPPFLAGS)
ALL_CFLAGS = -std=c11 $(WARNINGS) $(HARDENING) -pthread $(CFLAGS)
ALL_LDFLAGS = -pie -Wl,-z,relro,-z,now -pthread $(LDFLAGS)

# One file a platform: x_linux.c or its portable twin x_posix.c, and the event
# loop on epoll or on poll.
ifeq ($(PORTABLE),1)
SYSTEM = posix
else
SYSTEM := $(if $(filter Linux,$(shell uname -s)),linux,posix)
endif
ifeq ($(SYSTEM),linux)
OTHERS = %_posix.c src/flow/loop_poll.c
else
OTHERS = %_linux.c src/flow/loop_epoll.c
endif

# The digest with the vector unit that nearly all of these have.
ifeq ($(SYSTEM)-$(shell uname -m),linux-x86_64)
OTHERS += %_generic.c
$(BUILD)/src/transfer/digest_add_avx2.o: ALL_CFLAGS += -mavx2
else
OTHERS += %_x86.c %_avx2.c
endif

SRCS := $(filter-out $(OTHERS),$(sort $(wildcard src/*/*.c)))
OBJS = $(SRCS:%.c=$(BUILD)/%.o)
MAIN = $(BUILD)/src/main.o

all: $(BUILD)/haul

$(BUILD)/haul: $(MAIN) $(OBJS)
	$(CC) $(ALL_CFLAGS) $(ALL_LDFLAGS) -o $@ $(MAIN) $(OBJS) $(LDLIBS)

$(BUILD)/%.o: %.c $(BUILD)/flags
	@mkdir -p $(@D)
	$(CC) $(ALL_CPPFLAGS) $(ALL_CFLAGS) -MMD -MP -c -o $@ $<

# Everything is built again when the compiler, its flags or SYSTEM change.
$(BUILD)/flags: FORCE
	@mkdir -p $(@D)
	@echo '$(CC) $(ALL_CPPFLAGS) $(ALL_CFLAGS) $(SYSTEM)' | \
	    cmp -s - $@ || \
	    echo '$(CC) $(ALL_CPPFLAGS) $(ALL_CFLAGS) $(SYSTEM)' > $@

# The unit tests: a program for each test_*.c, with all of haul but main.c.
UNIT_SRCS = $(wildcard tests/unit/test_*.c)
UNIT_HELP = $(BUILD)/tests/unit/tap.o $(BUILD)/tests/unit/fault.o
UNIT_TESTS = $(UNIT_SRCS:%.c=$(BUILD)/%)
# QUICK=1 leaves out those that say "# quick: no": sweeps over hundreds of
# positions and gigabytes, and what depends on other programs more than on ours.
LONG := $(shell grep -l '^\# quick: no' tests/cli/*.bats)
CLI_TESTS = $(filter-out $(if $(QUICK),$(LONG)),$(wildcard tests/cli/*.bats))
JOBS ?= 4

$(BUILD)/tests/unit/%.o: ALL_CPPFLAGS += -Itests/unit

$(UNIT_TESTS): %: %.o $(UNIT_HELP) $(OBJS)
	$(CC) $(ALL_CFLAGS) $(ALL_LDFLAGS) -o $@ $^ $(LDLIBS)

unit: $(UNIT_TESTS)

# Fuzzing the parsers of transfers: "make fuzz" builds fuzz_wire, fuzz_receiver
# and fuzz_sender (clang, libFuzzer, sanitizers) in $(BUILD)/fuzz/tests/fuzz. The
# same targets without a fuzzer replay tests/fuzz/corpus with the other tests.
FUZZ_TARGETS = $(patsubst tests/fuzz/fuzz_%.c,%,$(wildcard tests/fuzz/fuzz_*.c))
FUZZ_HELP = $(BUILD)/tests/fuzz/feed.o $(BUILD)/tests/unit/tap.o
REPLAYS = $(FUZZ_TARGETS:%=$(BUILD)/tests/fuzz/replay_%)
FUZZERS = $(FUZZ_TARGETS:%=$(BUILD)/tests/fuzz/fuzz_%)
FUZZ_CFLAGS = -O1 -g -fno-omit-frame-pointer -fno-sanitize-recover=all \
	-fsanitize=address,undefined -fsanitize=fuzzer-no-link

$(BUILD)/tests/fuzz/%.o: ALL_CPPFLAGS += -Itests/unit -Itests/fuzz

$(REPLAYS): $(BUILD)/tests/fuzz/replay_%: $(BUILD)/tests/fuzz/fuzz_%.o \
    $(BUILD)/tests/fuzz/replay.o $(FUZZ_HELP) $(OBJS)
	$(CC) $(ALL_CFLAGS) $(ALL_LDFLAGS) -o $@ $^ $(LDLIBS)

$(FUZZERS): $(BUILD)/tests/fuzz/fuzz_%: $(BUILD)/tests/fuzz/fuzz_%.o \
    $(FUZZ_HELP) $(OBJS)
	$(CC) $(ALL_CFLAGS) $(ALL_LDFLAGS) -fsanitize=fuzzer -o $@ $^ $(LDLIBS)

fuzzers: $(FUZZERS)

fuzz:
	$(MAKE) fuzzers BUILD=$(BUILD)/fuzz CC=clang CFLAGS='$(FUZZ_CFLAGS)'

test: $(BUILD)/haul $(UNIT_TESTS) $(REPLAYS)
	HAUL=$(abspath $(BUILD))/haul tests/run -j $(JOBS) $(CLI_TESTS) \
	    $(UNIT_TESTS) $(REPLAYS)

# The unit tests under valgrind.
VALGRIND = valgrind -q --error-exitcode=99 --leak-check=full \
	--errors-for-leak-kinds=definite --trace-children=no \
	--suppressions=tests/unit/valgrind.supp

# Not those that need to be fast; what valgrind cannot do is skipped (-s).
TIMED = %/test_child %/test_command %/test_hub %/test_sessions %/test_telnet

check-valgrind: $(UNIT_TESTS) $(REPLAYS)
	RUN_UNDER='$(VALGRIND)' tests/run -s -j $(JOBS) \
	    $(filter-out $(TIMED),$(UNIT_TESTS)) $(REPLAYS)

lint:
	tests/layers
	cppcheck -j 2 --quiet --error-exitcode=1 --inline-suppr --std=c11 -Isrc \
	    --enable=warning,performance,portability $(SRCS) src/main.c
	printf '%s\n' $(SRCS) src/main.c | xargs -n 20 -P 2 sh -c \
	    'exec clang-tidy --quiet --warnings-as-errors="*" "$$@" -- \
	    $(ALL_CPPFLAGS) -std=c11' clang-tidy
	shellcheck -x .ci/run tests/run tests/demo tests/layers
	shellcheck -x -s bash completions/haul.bash
	shellcheck -x tests/cli/*.bats tests/cli/lib/*.bash
	mandoc -T lint -W warning man/*.[17]

# haul against public peers and against the smallest programs that do the same.
# BENCH: options and cases, see its --help.
BENCH_TOOLS = $(BUILD)/tests/bench/floor $(BUILD)/tests/bench/load

$(BENCH_TOOLS): %: %.o $(BUILD)/tests/bench/net.o
	$(CC) $(ALL_CFLAGS) $(ALL_LDFLAGS) -o $@ $^ $(LDLIBS)

bench: $(BUILD)/haul $(BENCH_TOOLS)
	tests/bench/run --build $(BUILD) $(BENCH)

# Whether the benchmark works, in seconds; its figures mean nothing.
check-bench: $(BUILD)/haul $(BENCH_TOOLS)
	tests/bench/test_bench.py
	tests/bench/run --build $(BUILD) --output $(BUILD)/tests/bench \
	    --quick --size 4M --rounds 1 --only haul --only floor \
	    tcp-file-file unix-pipe-pipe start-version calls-command

# The main job on real input: a directory tree from one haul to another.
demo: $(BUILD)/haul
	tests/demo $(BUILD)/haul

BINDIR = $(DESTDIR)$(PREFIX)/bin
SHARE = $(DESTDIR)$(PREFIX)/share
MAN1DIR = $(SHARE)/man/man1
MAN7DIR = $(SHARE)/man/man7
BASHDIR = $(SHARE)/bash-completion/completions
ZSHDIR = $(SHARE)/zsh/site-functions
FISHDIR = $(SHARE)/fish/vendor_completions.d
PAGES1 = $(notdir $(wildcard man/*.1))
PAGES7 = $(notdir $(wildcard man/*.7))

install: $(BUILD)/haul
	install -d $(BINDIR) $(MAN1DIR) $(MAN7DIR) $(BASHDIR) $(ZSHDIR) \
	    $(FISHDIR)
	install -m 755 $(BUILD)/haul $(BINDIR)/haul
	install -m 644 $(PAGES1:%=man/%) $(MAN1DIR)
	install -m 644 $(PAGES7:%=man/%) $(MAN7DIR)
	install -m 644 completions/haul.bash $(BASHDIR)/haul
	install -m 644 completions/_haul $(ZSHDIR)/_haul
	install -m 644 completions/haul.fish $(FISHDIR)/haul.fish

uninstall:
	rm -f $(BINDIR)/haul $(PAGES1:%=$(MAN1DIR)/%) \
	    $(PAGES7:%=$(MAN7DIR)/%) $(BASHDIR)/haul $(ZSHDIR)/_haul \
	    $(FISHDIR)/haul.fish

clean:
	rm -rf $(BUILD)

-include $(OBJS:.o=.d) $(MAIN:.o=.d) $(wildcard $(BUILD)/tests/*/*.d)

.SECONDARY:
.PHONY: all unit fuzzers fuzz test check-valgrind lint bench check-bench \
	demo install uninstall clean FORCE
