package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"saldo/internal/bench"
)

// scenarios is everything that bench can measure, in the order in which it does.
var scenarios = []struct {
	name    string
	clients []int // without --clients
	run     func(context.Context, bench.Options) (*bench.Report, error)
}{
	{"balance", []int{64}, bench.Balance},
	{"twilio", []int{64}, reads("twilio")},
	{"mturk", []int{64}, reads("mturk")},
	{"gateway360", []int{64}, reads("gateway360")},
	{"frontier", []int{64}, reads("frontier")},
	{"frontier-connect", []int{64}, reads("frontier-connect")},
	{"charge", []int{64, 512}, bench.Charge},
	{"frontier-usage", []int{64}, bench.FrontierUsage},
	{"create-hit", []int{64}, bench.CreateHIT},
	{"approve", []int{64}, bench.ApproveAssignment},
	{"approve-cold", []int{64}, bench.ApproveCold},
	{"cold", []int{64}, bench.Cold},
	{"bulk", []int{4}, bench.Bulk},
	{"history", []int{16}, bench.History},
	{"long-balance", []int{64}, bench.LongBalance},
	{"long-charge", []int{64}, bench.LongCharge},
	{"long-vendors", []int{64}, bench.LongVendors},
	{"pages", []int{16}, bench.Pages},
	{"pg-charge", []int{64}, bench.PGCharge},
	{"pg-charge-pooled", []int{64}, bench.PGPooled},
	{"pg-charge-batched", []int{64}, bench.PGBatched},
	{"pg-two-nodes", []int{64}, bench.PGTwoNodes},
	{"pg-books", []int{64}, bench.PGBooks},
	{"pg-balance", []int{64}, bench.PGBalance},
	{"pg-balance-1ms", []int{64}, bench.PGFarBalance(time.Millisecond)},
	{"pg-latency-1ms", []int{64, 1024}, bench.PGLatency(time.Millisecond)},
	{"pg-latency-5ms", []int{64, 1024}, bench.PGLatency(5 * time.Millisecond)},
	{"pg-latency-20ms", []int{64, 1024}, bench.PGLatency(20 * time.Millisecond)},
	{"memory", []int{0}, bench.Memory},
	{"batch-hot", []int{0}, func(ctx context.Context, o bench.Options) (*bench.Report, error) { return bench.Batch(ctx, o, true) }},
	{"batch", []int{0}, func(ctx context.Context, o bench.Options) (*bench.Report, error) { return bench.Batch(ctx, o, false) }},
	{"single-hot", []int{0}, func(ctx context.Context, o bench.Options) (*bench.Report, error) { return bench.Single(ctx, o, true) }},
	{"single", []int{0}, func(ctx context.Context, o bench.Options) (*bench.Report, error) { return bench.Single(ctx, o, false) }},
}

// reads measures reads in a vendor's dialect.
func reads(name string) func(context.Context, bench.Options) (*bench.Report, error) {
	return func(ctx context.Context, o bench.Options) (*bench.Report, error) { return bench.Vendor(ctx, o, name) }
}

func scenarioNames() (names []string) {
	for _, s := range scenarios {
		names = append(names, s.name)
	}
	return names
}

// benchCommand is saldo bench.
func (a *app) benchCommand() *cobra.Command {
	var o bench.Options
	var seconds float64
	c := &cobra.Command{
		Use:   "bench [SCENARIO...]",
		Short: "Measure this Saldo on this machine",
		Long: `Measure this Saldo on this machine, each figure beside a baseline that is
measured in turns with it:

  balance     reads of a balance over HTTP; beside net/http writing the same bytes
  twilio, mturk, gateway360, frontier, frontier-connect
              the same in a vendor's dialect, with its own authentication; Connect
              beside a bare Connect handler
  charge      one charge a request, one hot account; beside net/http appending
              the same bytes to a file, one fdatasync for all who wait
  frontier-usage
              one usage a request by Frontier's REST, one hot account; beside native
              charges
  create-hit, approve, approve-cold
              MTurk's CreateHIT and ApproveAssignment, one a request, all of one
              requester; beside native charges
  cold        one charge a request, over 100,000 accounts; beside one hot account
  bulk        1,000 transfers a request; beside the same
  history     statements and past balances of a long history
  long-balance, long-charge, long-vendors
              balances, charges and balances in all vendors' dialects, in turns, after
              ten million transfers; beside an empty book.
              They take some minutes to make: --history DIR keeps them
  pages       pages of Twilio's usage records, a statement and Frontier's transactions of
              one account with ten million charges; beside one with 10,000
  pg-charge, pg-charge-pooled, pg-charge-batched
              one charge a request, one hot account, on PostgreSQL; beside a PL/pgSQL
              function that locks the two rows, called over a connection for each
              client or over eight; and one that gets all that waits
  pg-two-nodes, pg-books
              the same through two nodes, on one account or each on a book of its
              own; beside one node
  pg-balance  reads of a balance on PostgreSQL; beside a SELECT by key for each
  pg-balance-1ms
              the same with time added to each round trip
  pg-latency-1ms, pg-latency-5ms, pg-latency-20ms
              pg-charge-batched with time added to each round trip; trips is round
              trips a commit, batch is charges a commit
              All of these start a PostgreSQL of their own (--store URL: use that one)
  memory      RSS of a server, idle and after it charged a million accounts
  batch       commands of 1,000 transfers in process, over 100,000 accounts
  batch-hot   … on one account
  single      1,000 callers in process, one transfer each, over 100,000 accounts
  single-hot  … on one account; all four beside Pebble writing the same keys and
              bytes: by as many callers and, as "rounds", by one writer of the
              ledger's own rounds

Without --address it starts servers of its own, on temporary directories.`,
		Example: `  saldo bench
  saldo bench balance charge --pairs 5 --seconds 3 -o json
  saldo bench charge --clients 64
  saldo bench balance --address http://10.0.0.5:7400 --token-file token`,
		ValidArgs: scenarioNames(),
		Args:      cobra.OnlyValidArgs,
	}
	f := c.Flags()
	f.IntVar(&o.Pairs, "pairs", 5, "how often each is measured; medians are shown")
	f.Float64Var(&seconds, "seconds", 3, "how long each run is")
	f.IntVar(&o.Clients, "clients", 0, "connections (default: as the scenario has it)")
	f.StringVar(&o.Dir, "dir", "", "where the temporary directories go (default: the system's)")
	f.StringVar(&o.History, "history", "", "directory that has the ten million transfers, or is to keep them")
	f.IntVar(&o.Long, "transfers", 0, "how many a long history has (default: ten million)")
	f.StringVar(&o.Store, "store", "", "postgres://… in which databases may be made and dropped (default: a PostgreSQL of its own)")
	c.RunE = func(c *cobra.Command, args []string) error {
		if o.Pairs < 1 || seconds <= 0 || o.Clients < 0 || o.Long < 0 {
			return usagef("--pairs and --seconds are above zero, --clients and --transfers are not below")
		}
		a.limitMemory(320<<20, 64<<20) // as serve does: what runs in this process is a server's
		o.For = time.Duration(seconds * float64(time.Second))
		if a.to.address != "" {
			s, err := a.asker()
			if err != nil {
				return err
			}
			o.Address, o.Token = s.URL, s.Token
		}
		o.Said = func(format string, args ...any) {
			if isTerminal(a.stderr) {
				a.say(format, args...)
			}
		}
		reports, err := runScenarios(c.Context(), o, args)
		if err != nil {
			return err
		}
		return a.showBench(reports)
	}
	c.AddCommand(a.baselineCommand())
	return c
}

func runScenarios(ctx context.Context, o bench.Options, names []string) (reports []*bench.Report, err error) {
	for _, s := range scenarios {
		if len(names) > 0 && !slices.Contains(names, s.name) {
			continue
		}
		if o.Address != "" && (s.clients[0] == 0 || strings.HasPrefix(s.name, "pg-")) {
			if len(names) > 0 {
				return nil, usagef("%s runs what it measures: leave out --address", s.name)
			}
			continue
		}
		clients := s.clients
		if o.Clients > 0 && clients[0] != 0 {
			clients = []int{o.Clients}
		}
		for _, n := range clients {
			this := o
			this.Clients = n
			r, err := s.run(ctx, this)
			if errors.Is(err, bench.ErrNoPostgres) && len(names) == 0 {
				continue
			}
			if err != nil {
				return nil, fmt.Errorf("%s: %w", s.name, err)
			}
			reports = append(reports, r)
		}
	}
	return reports, nil
}

func (a *app) showBench(reports []*bench.Report) error {
	if a.whole() {
		return a.show(reports)
	}
	rows := []object{}
	for _, r := range reports {
		row := object{"scenario": r.Scenario, "clients": r.Clients, "unit": r.Unit, "saldo": fmt.Sprintf("%.0f", r.Saldo), "p50": r.P50, "p99": r.P99}
		if r.Base > 0 {
			row["baseline"] = fmt.Sprintf("%.0f", r.Base)
			row["ratio"] = fmt.Sprintf("%.2f", r.Ratio)
			row["base_p50"], row["base_p99"] = r.BaseP50, r.BaseP99
		}
		if r.Rounds > 0 {
			row["rounds"] = fmt.Sprintf("%.0f", r.Rounds)
		}
		if r.Trips > 0 {
			row["trips"], row["batch"] = fmt.Sprintf("%.2f", r.Trips), fmt.Sprintf("%.0f", r.Batch)
		}
		if r.IdleBytes > 0 {
			row["idle"] = fmt.Sprintf("%d MB", r.IdleBytes>>20)
		}
		if r.RSSBytes > 0 {
			row["rss"] = fmt.Sprintf("%d MB", r.RSSBytes>>20)
		}
		rows = append(rows, row)
	}
	return a.showList(rows, "scenario", "clients", "unit", "saldo", "baseline", "ratio", "rounds", "p50", "p99", "base_p50", "base_p99", "trips", "batch", "idle", "rss")
}

// baselineCommand is what bench starts to compare with.
func (a *app) baselineCommand() *cobra.Command {
	var b bench.Baseline
	c := &cobra.Command{Use: "baseline", Hidden: true, Short: "The least that could answer", Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			b.Database = a.getenv("SALDO_STORE")
			return b.Serve(c.Context(), a.stdout)
		}}
	c.Flags().StringVar(&b.Sample, "sample", "", "file with the answer")
	c.Flags().StringVar(&b.File, "file", "", "file to append to")
	c.Flags().IntVar(&b.Bytes, "bytes", 0, "how much to append")
	c.Flags().StringVar(&b.Ask, "ask", "", "what to ask the database SALDO_STORE")
	c.Flags().BoolVar(&b.Connect, "connect", false, "answer by Connect")
	return c
}
