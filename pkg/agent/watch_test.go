package agent

import (
	"context"
	"errors"
	"log/slog"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// fakeFiles have a byte of content; 0 cannot be read.
type fakeFiles struct{ content atomic.Int32 }

func (f *fakeFiles) fingerprint() ([32]byte, error) {
	n := f.content.Load()
	if n == 0 {
		return [32]byte{}, errors.New("gone")
	}
	return [32]byte{byte(n)}, nil
}

func TestWatch(t *testing.T) {
	const every = time.Second
	synctest.Test(t, func(t *testing.T) {
		var files fakeFiles
		files.content.Store(1)
		w := newWatcher(&Watch{Every: every, Fingerprint: files.fingerprint, Loaded: [32]byte{1}}, slog.New(slog.DiscardHandler))
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		go w.run(ctx)
		look := func(want bool, why string) {
			t.Helper()
			time.Sleep(every)
			synctest.Wait()
			due := false
			select {
			case <-w.due():
				due = true
				w.note() // as a reload does
			default:
			}
			if due != want {
				t.Errorf("%s: a reload is due %v", why, due)
			}
		}
		time.Sleep(every / 2)
		look(false, "nothing has changed")
		files.content.Store(2)
		look(false, "perhaps it is still being written")
		files.content.Store(3)
		look(false, "it was")
		look(true, "it has settled")
		look(false, "it was loaded, successfully or not")
		files.content.Store(0)
		look(false, "the file is gone")
		look(false, "the file is gone still")
		files.content.Store(3)
		look(false, "the file is back")
		look(false, "the file is back as it was")
		files.content.Store(4)
		look(false, "another one")
		w.note() // a reload by signal
		look(false, "that has been loaded")
		files.content.Store(3)
		look(false, "back to the one before")
		look(true, "back to the one before, settled")
	})
}

func TestWithoutWatch(*testing.T) {
	w := newWatcher(nil, nil)
	w.note()
	select {
	case <-w.due():
		panic("a reload is due")
	default:
	}
}
