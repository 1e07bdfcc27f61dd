// Package steps is what the programs share: where to connect to, and the loop over the steps of README.md.
package steps

import (
	"bufio"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

var (
	Address  = os.Getenv("REDIS_HOST") + ":" + os.Getenv("REDIS_PORT")
	Username = os.Getenv("REDIS_USERNAME")
	Password = os.Getenv("REDIS_PASSWORD")
	Protocol = os.Getenv("REDIS_PROTOCOL")
)

// Patience is the timeout of all drivers; README.md has the reason.
const Patience = time.Minute

var count int // the one that the step has, or 0

// Count is the number of requests that the step wants.
func Count(byDefault int) int {
	if count == 0 {
		return byDefault
	}
	return count
}

// TLS is nil when it is not asked for.
func TLS() *tls.Config {
	file := os.Getenv("REDIS_CA_FILE")
	if file == "" {
		return nil
	}
	pem, err := os.ReadFile(file)
	if err != nil {
		panic(err)
	}
	trusted := x509.NewCertPool()
	trusted.AppendCertsFromPEM(pem)
	return &tls.Config{RootCAs: trusted, ServerName: "localhost"}
}

// Step returns nil, an int64, a string, or a slice of either.
type Step func() (any, error)

// Run does the steps that come in.
func Run(steps map[string]Step) {
	lines := bufio.NewScanner(os.Stdin)
	for lines.Scan() {
		step, number, _ := strings.Cut(lines.Text(), " ")
		count, _ = strconv.Atoi(number)
		values, err := steps[step]()
		switch {
		case err != nil:
			fmt.Println("error", strings.ReplaceAll(err.Error(), "\n", " "))
		case values == nil:
			fmt.Println("ok")
		default:
			fmt.Println("ok", strings.Trim(fmt.Sprint(values), "[]"))
		}
	}
}

// Hundred draws a hundred times in turn.
func Hundred(draw func() (int64, error)) ([]int64, error) {
	ids := make([]int64, 0, 100)
	for range 100 {
		id, err := draw()
		if err != nil {
			return nil, err
		}
		ids = append(ids, id)
	}
	return ids, nil
}

// Tenfold does the same ten times at the same time.
func Tenfold(drawHundred func() ([]int64, error)) (any, error) {
	return together(slices.Repeat([]func() ([]int64, error){drawHundred}, 10))
}

// Load repeats the draws for a second, each on its own, with pauses.
func Load(draws ...func() ([]int64, error)) (any, error) {
	ends := time.Now().Add(time.Second)
	repeated := make([]func() ([]int64, error), len(draws))
	for i, draw := range draws {
		repeated[i] = func() (all []int64, err error) {
			for time.Now().Before(ends) && err == nil {
				var ids []int64
				ids, err = draw()
				all = append(all, ids...)
				time.Sleep(10 * time.Millisecond)
			}
			return all, err
		}
	}
	return together(repeated)
}

func together(draws []func() ([]int64, error)) (any, error) {
	var (
		group sync.WaitGroup
		mutex sync.Mutex
		all   []int64
		last  error
	)
	for _, draw := range draws {
		group.Go(func() {
			ids, err := draw()
			mutex.Lock()
			defer mutex.Unlock()
			all = append(all, ids...)
			if err != nil {
				last = err
			}
		})
	}
	group.Wait()
	return all, last
}

// Idle draws, rests for two seconds, and draws again on what the driver has kept open.
func Idle(draw func() (int64, error)) (any, error) {
	first, err := draw()
	if err != nil {
		return nil, err
	}
	time.Sleep(2 * time.Second)
	second, err := draw()
	return []int64{first, second}, err
}
