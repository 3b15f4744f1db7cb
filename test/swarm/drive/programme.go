package drive

import "time"

// mostExtra is how often the acts beside updates are played.
const mostExtra = 3

// Acts is the whole soak: updates of three behaviours in both orders, each as often as told (30 updates with
// rounds of 5), and what else happens to tasks.
func Acts(rounds int) []Act {
	acts := []Act{Calm(Careless, 15*time.Second)}
	for _, b := range []Behaviour{Careless, Draining, Healthy} {
		for _, order := range []Order{StopFirst, StartFirst} {
			for range rounds {
				acts = append(acts, Update(order, b))
			}
		}
	}
	for range min(rounds, mostExtra) {
		acts = append(acts, Sicken())
	}
	for range min(rounds, mostExtra) {
		acts = append(acts, Kill(Draining))
	}
	for range min(rounds, mostExtra) {
		acts = append(acts, Scale(3, 10, Draining), Scale(10, 3, Draining))
	}
	return append(acts, Scale(3, 0, Draining), Scale(0, 10, Draining), Scale(10, 3, Draining))
}
