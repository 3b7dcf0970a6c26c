package main

import (
	"net/http"
	"net/url"

	"github.com/spf13/cobra"
)

var workColumns = []string{"id", "hit_id", "worker_id", "status", "account", "created_at", "deadline", "submitted_at", "auto_approval_at"}

// hitCommand is saldo hit: the worker's side of MTurk's HITs.
func (a *app) hitCommand() *cobra.Command {
	c := &cobra.Command{Use: "hit", Short: "Work on MTurk's HITs, as a worker",
		Long: "Work on MTurk's HITs, as a worker. Requesters use their SDKs; workers had a web site, and these commands stand for it."}
	work := a.onWork("work HIT", "Accept an assignment of a HIT, and submit it", `  saldo hit work 3ABC… --worker A1EXAMPLE
  saldo hit work 3ABC… --worker A1EXAMPLE --answer '<QuestionFormAnswers …>'`)
	accept := a.onWork("accept HIT", "Accept an assignment of a HIT", "  saldo hit accept 3ABC… --worker A1EXAMPLE")
	submit := a.onWork("submit ASSIGNMENT", "Submit an assignment", "  saldo hit submit 3DEF… --answer '<QuestionFormAnswers …>'")
	back := a.onWork("return ASSIGNMENT", "Give an assignment back, so that another worker may have it", "  saldo hit return 3DEF…")
	for _, c := range []*cobra.Command{work, submit} {
		c.Flags().String("answer", "", "what is submitted: a QuestionFormAnswers document")
	}
	c.AddCommand(work, accept, submit, back, a.workerCommand())
	return c
}

// onWork makes a command of a worker: to accept, or what is done with an
// assignment; "work" is to accept one and submit it.
func (a *app) onWork(use, short, example string) *cobra.Command {
	c := &cobra.Command{Use: use, Short: short, Example: example, Args: cobra.ExactArgs(1)}
	c.Flags().String("worker", "", "the worker's id: an A and up to 63 of A-Z and 0-9")
	c.RunE = func(c *cobra.Command, args []string) error {
		s, err := a.asker()
		if err != nil {
			return err
		}
		verb, id := c.Name(), url.PathEscape(args[0])
		body := object{}
		worker, err := c.Flags().GetString("worker")
		switch {
		case err != nil:
			return err
		case worker != "":
			body["worker_id"] = worker
		case verb == "work" || verb == "accept":
			return usagef("say as which worker: --worker A1EXAMPLE")
		}
		if verb == "work" || verb == "accept" {
			data, err := s.call(c.Context(), http.MethodPost, "/v1/mturk/hits/"+id+"/assignments", body)
			if err != nil || verb == "accept" {
				return a.showUnless(err, data)
			}
			accepted, err := asObject(data)
			if err != nil {
				return err
			}
			verb, id = "submit", url.PathEscape(field(accepted, "id"))
		}
		if answer, err := c.Flags().GetString("answer"); err == nil && answer != "" {
			body["answer"] = answer
		}
		data, err := s.call(c.Context(), http.MethodPost, "/v1/mturk/assignments/"+id+"/"+verb, body)
		return a.showUnless(err, data)
	}
	return c
}

// showUnless prints an assignment, unless there is none.
func (a *app) showUnless(err error, data any) error {
	if err != nil {
		return err
	}
	return a.show(data, workColumns...)
}

func (a *app) workerCommand() *cobra.Command {
	return &cobra.Command{Use: "worker WORKER", Short: "Show what a worker has earned", Args: cobra.ExactArgs(1),
		Example: "  saldo hit worker A1EXAMPLE",
		RunE: func(c *cobra.Command, args []string) error {
			s, err := a.asker()
			if err != nil {
				return err
			}
			data, err := s.get(c.Context(), "/v1/mturk/workers/"+url.PathEscape(args[0]), nil)
			if err != nil {
				return err
			}
			worker, err := asObject(data)
			if err != nil {
				return err
			}
			return a.showList(worker["accounts"], "id", "book", "available", "unit", "created_at")
		}}
}
