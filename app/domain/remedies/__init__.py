"""What a failure means, what mends it, where that is done, and which way back is the right one."""
