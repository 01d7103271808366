"""The rehearsal of a cutoff on a scratch portal: a stage, a crowd, what they did, and whether every promise was kept."""
