package datapath

//go:generate go tool bpf2go -cc clang-19 -strip llvm-strip-19 -target bpfel -cflags "-O2 -g -Wall -Wextra -Werror -Wno-unused-parameter -mcpu=v3 -idirafter /usr/include/x86_64-linux-gnu -idirafter /usr/include/aarch64-linux-gnu" -type wg_state -type wg_service_flag -type wg_server_state -type wg_sched_elem -type wg_slot -type wg_event -type wg_end -type wg_doom -type wg_flow_flag lb ../../bpf/lb.bpf.c
//go:generate go tool bpf2go -cc clang-19 -strip llvm-strip-19 -target bpfel -no-global-types -cflags "-O2 -g -Wall -Wextra -Werror -Wno-unused-parameter -mcpu=v3 -idirafter /usr/include/x86_64-linux-gnu -idirafter /usr/include/aarch64-linux-gnu" xdp ../../bpf/xdp.bpf.c
//go:generate go run ./internal/reasongen ../../bpf/reasons.h reasons_gen.go
