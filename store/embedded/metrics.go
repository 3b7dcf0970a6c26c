package embedded

// Metrics is how a store is doing.
type Metrics struct {
	DiskBytes      uint64 // of all files of the books
	DiskFree       uint64 // of the file system; 0: unknown
	WALBytes       uint64
	MemTableBytes  uint64
	CacheBytes     int64
	CacheHits      int64
	CacheMisses    int64
	Tables         int64
	Sublevels      int32 // of level 0: many of them say that compactions lag behind writes
	CompactionDebt uint64
	Compactions    int64
	Compacting     int64 // compactions and flushes under way
	IndexLag       uint64
	IndexRows      uint64 // rows of indexes that were written since the store was opened
}

// Metrics reads the store's figures. It takes some microseconds.
func (s *Store) Metrics() Metrics {
	m := s.db.Metrics()
	out := Metrics{
		DiskBytes:      m.DiskSpaceUsage(),
		WALBytes:       m.WAL.PhysicalSize,
		MemTableBytes:  m.MemTable.Size,
		CacheBytes:     m.BlockCache.Size,
		CacheHits:      m.BlockCache.Hits,
		CacheMisses:    m.BlockCache.Misses,
		Sublevels:      m.Levels[0].Sublevels,
		CompactionDebt: m.Compact.EstimatedDebt,
		Compactions:    m.Compact.Count,
		Compacting:     m.Compact.NumInProgress + m.Flush.NumInProgress,
		IndexLag:       s.IndexLag(),
		IndexRows:      s.indexRows.Load(),
	}
	for i := range m.Levels {
		out.Tables += m.Levels[i].TablesCount
	}
	if usage, err := s.options.FS.GetDiskUsage(s.dir); err == nil {
		out.DiskFree = usage.AvailBytes
	}
	return out
}
