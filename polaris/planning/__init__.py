"""Memory, time, disk, price and preflight, before anything is paid."""
