"""What a sweep keeps on disk: rows as soon as they are known, stages that were dear, and the finished tables."""
