#ifndef HAUL_CLI_VERSION_H
#define HAUL_CLI_VERSION_H

#define HAUL_VERSION	"0.1.0"

#endif
