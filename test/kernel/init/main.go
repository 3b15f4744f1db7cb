// Command init is the first process of the virtual machine that test/kernel boots, and its modprobe.
package main

import "waggle/test/kernel/guest"

func main() { guest.Main() }
