package agent

import (
	"context"
	"log/slog"
	"sync"
	"time"
)

// Watch has an agent load its configuration anew when the files have changed. They are looked at, since neither a mount
// nor a symbolic link that is put in another's place tells reliably.
type Watch struct {
	Every       time.Duration            // above 0
	Fingerprint func() ([32]byte, error) // of what Options.Load would read now
	Loaded      [32]byte                 // that of Options.Config
}

// watcher looks at the files.
type watcher struct {
	Watch
	log     *slog.Logger
	changed chan struct{} // a reload is due

	mu     sync.Mutex
	loaded [32]byte // tried last, whether it could be used or not
}

func newWatcher(w *Watch, log *slog.Logger) *watcher {
	if w == nil {
		return nil
	}
	return &watcher{Watch: *w, log: log, changed: make(chan struct{}, 1), loaded: w.Loaded}
}

// due is when a reload is due; never without a watcher.
func (w *watcher) due() <-chan struct{} {
	if w == nil {
		return nil
	}
	return w.changed
}

// note remembers what is about to be loaded, for whatever reason, so that it is not loaded twice.
func (w *watcher) note() {
	if w == nil {
		return
	}
	if is, err := w.Fingerprint(); err == nil {
		w.mu.Lock()
		w.loaded = is
		w.mu.Unlock()
	}
}

// run looks until ctx ends. What is new has to be the same at two looks, so that files are not loaded while they are
// written. Files that cannot be read are no change: they may be about to come.
func (w *watcher) run(ctx context.Context) {
	ticker := time.NewTicker(w.Every)
	defer ticker.Stop()
	seen, failing := w.Loaded, false
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		is, err := w.Fingerprint()
		if err != nil {
			if !failing {
				w.log.Warn("the configuration that is watched cannot be read; the one in use stays", "err", err)
			}
			failing = true
			continue
		}
		failing = false
		settled := is == seen
		seen = is
		w.mu.Lock()
		news := is != w.loaded
		w.mu.Unlock()
		if settled && news {
			select {
			case w.changed <- struct{}{}:
			default:
			}
		}
	}
}
