// Go's go-qemu under load, for bench/client.ts: it has one command in flight at a time, whoever asks.
//
//	go run load.go SOCKET IN_FLIGHT SECONDS plain|fd       prints COMMANDS SECONDS CPU_SECONDS
package main

import (
	"encoding/json"
	"fmt"
	"os"
	"strconv"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/digitalocean/go-qemu/qmp"
)

func check(err error) {
	if err != nil {
		panic(err)
	}
}

func cpu() float64 {
	var usage syscall.Rusage
	check(syscall.Getrusage(syscall.RUSAGE_SELF, &usage))
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano()).Seconds()
}

func main() {
	inFlight, err := strconv.Atoi(os.Args[2])
	check(err)
	seconds, err := strconv.ParseFloat(os.Args[3], 64)
	check(err)
	monitor, err := qmp.NewSocketMonitor("unix", os.Args[1], 5*time.Second)
	check(err)
	check(monitor.Connect())
	file, err := os.Open("/dev/null")
	check(err)
	var commands atomic.Int64
	var added struct {
		Return struct {
			Set int `json:"fdset-id"`
		} `json:"return"`
	}
	var mutex sync.Mutex
	once := func() {
		if os.Args[4] == "plain" {
			_, err := monitor.Run([]byte(`{"execute":"query-version"}`))
			check(err)
			commands.Add(1)
			return
		}
		mutex.Lock()
		defer mutex.Unlock()
		reply, err := monitor.RunWithFile([]byte(`{"execute":"add-fd"}`), file)
		check(err)
		check(json.Unmarshal(reply, &added))
		_, err = monitor.Run([]byte(fmt.Sprintf(`{"execute":"remove-fd","arguments":{"fdset-id":%d}}`, added.Return.Set)))
		check(err)
		commands.Add(2)
	}
	run := func(duration time.Duration) {
		end := time.Now().Add(duration)
		var group sync.WaitGroup
		for i := 0; i < inFlight; i++ {
			group.Add(1)
			go func() {
				defer group.Done()
				for time.Now().Before(end) {
					once()
				}
			}()
		}
		group.Wait()
	}
	run(200 * time.Millisecond)
	commands.Store(0)
	before, begin := cpu(), time.Now()
	run(time.Duration(seconds * float64(time.Second)))
	fmt.Println(commands.Load(), time.Since(begin).Seconds(), cpu()-before)
}
