"""What outlives a process or is shared by several: records, limits, leases."""
