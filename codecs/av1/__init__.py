"""AV1 syntax: as much of the headers as a transport and a rate control need."""
