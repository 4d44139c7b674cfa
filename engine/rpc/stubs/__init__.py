"""Generated from `engine/rpc/proto` by `make protos`; do not edit the files beside this one."""
