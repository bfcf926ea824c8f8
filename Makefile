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
FORTIFY = $(if $(OPTIMIZED),-U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=2)
ALL_CPPFLAGS = -Isrc -D_POSIX_C_SOURCE=200809L -D_DEFAULT_SOURCE $(FORTIFY) \
	$(CPPFLAGS)
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

clean:
	rm -rf $(BUILD)

-include $(OBJS:.o=.d) $(MAIN:.o=.d)

.PHONY: all clean FORCE
