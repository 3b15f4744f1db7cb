package pool

// InitState is what a server is taken for before its first check, at the start and after each maintenance, as when its
// name resolves again (HAProxy 3.2, section 5.2, init-state).
type InitState uint8

// The states.
const (
	InitUp        InitState = iota // up; one failed check takes it down
	InitFullyUp                    // up; as after many good checks
	InitDown                       // down; one good check brings it up
	InitFullyDown                  // down; rise good checks bring it up
)

func (s *Server) initialHealth() int {
	switch {
	case !s.Check || s.InitState == InitFullyUp:
		return s.maxHealth()
	case s.InitState == InitDown:
		return s.Rise - 1
	case s.InitState == InitFullyDown:
		return 0
	default:
		return s.Rise
	}
}
