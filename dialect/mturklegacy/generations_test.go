package mturklegacy

import (
	"context"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	sdk "github.com/aws/aws-sdk-go-v2/service/mturk"
	"github.com/aws/aws-sdk-go-v2/service/mturk/types"

	"saldo/auth"
	"saldo/dialect/mturk"
)

// TestGenerations has both APIs see the same HITs and the same money, with one
// key.
func TestGenerations(t *testing.T) {
	c, ask := openNow(t, "10") // the newer client signs with the real time
	desk := c.desk
	ctx := t.Context()
	url := c.Serve(mturk.New(c.Ledger, c.Auth, mturk.Options{Desk: desk}))
	newer := sdk.New(sdk.Options{Region: "us-east-1", BaseEndpoint: &url, RetryMaxAttempts: 1,
		Credentials: aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) {
			return aws.Credentials{AccessKeyID: exampleKey, SecretAccessKey: exampleSecret}, nil
		})})
	balance := func(want string) {
		t.Helper()
		got, err := newer.GetAccountBalance(ctx, &sdk.GetAccountBalanceInput{})
		if err != nil {
			t.Fatal(err)
		}
		if older := c.says(ask("GetAccountBalance"), "Amount"); older != want || *got.AvailableBalance != want {
			t.Errorf("the older API says %s, the newer %s, want %s", older, *got.AvailableBalance, want)
		}
	}
	hit := c.says(ask("CreateHIT", newHIT("0.25", "MaxAssignments", "3", "UniqueRequestToken", "t", "QualificationRequirement.1.QualificationTypeId", "00000000000000000071",
		"QualificationRequirement.1.Comparator", "EqualTo", "QualificationRequirement.1.LocaleValue.Country", "US")...), "HITId")
	balance("9.10")
	seen, err := newer.GetHIT(ctx, &sdk.GetHITInput{HITId: &hit})
	if err != nil || *seen.HIT.Reward != "0.25" || *seen.HIT.Question != question || *seen.HIT.QualificationRequirements[0].LocaleValues[0].Country != "US" {
		t.Errorf("%+v, %v", seen, err)
	}
	again, err := newer.CreateHIT(ctx, &sdk.CreateHITInput{Title: aws.String("t"), Description: aws.String("d"), Reward: aws.String("0.01"), Question: aws.String(question),
		AssignmentDurationInSeconds: aws.Int64(60), LifetimeInSeconds: aws.Int64(60), UniqueRequestToken: aws.String("t")})
	if err == nil || !strings.Contains(err.Error(), hit) {
		t.Errorf("the token is taken by neither: %+v, %v", again, err)
	}
	one, two := c.work(hit, "A1"), c.work(hit, "A2")
	if _, err := newer.ApproveAssignment(ctx, &sdk.ApproveAssignmentInput{AssignmentId: &one}); err != nil {
		t.Fatal(err)
	}
	c.fails(ask("ApproveAssignment", "AssignmentId", one), codeAssignmentState)
	c.says(ask("RejectAssignment", "AssignmentId", two), "IsValid")
	balance("9.40")
	list, err := newer.ListAssignmentsForHIT(ctx, &sdk.ListAssignmentsForHITInput{HITId: &hit})
	if err != nil || len(list.Assignments) != 2 || list.Assignments[0].AssignmentStatus != types.AssignmentStatusApproved || list.Assignments[1].AssignmentStatus != types.AssignmentStatusRejected {
		t.Errorf("%+v, %v", list, err)
	}
	if _, err := newer.SendBonus(ctx, &sdk.SendBonusInput{WorkerId: aws.String("A1"), AssignmentId: &one, BonusAmount: aws.String("1"), Reason: aws.String("r")}); err != nil {
		t.Fatal(err)
	}
	if got := c.says(ask("GetBonusPayments", "AssignmentId", one), "Amount"); got != "1.00" {
		t.Errorf("the bonus is %s", got)
	}
	balance("8.20")
	c.says(ask("DisableHIT", "HITId", hit), "IsValid")
	balance("8.50")
	hits, err := newer.ListHITs(ctx, &sdk.ListHITsInput{})
	if err != nil || len(hits.HITs) != 0 {
		t.Errorf("%+v, %v", hits, err)
	}
}

// TestCurrency has a desk whose requesters are in another currency than dollars.
func TestCurrency(t *testing.T) {
	w, _ := example(t, "EUR", "1234", auth.Read|auth.Charge)
	desk := mturk.NewDesk(w.Ledger, mturk.DeskOptions{Currency: "EUR"})
	c := &counter{w, t, desk, handler(w, Options{Desk: desk, PlainMessages: true})}
	c.fails(ask("CreateHIT", newHIT("1")...), codeOtherCurrency)
	if got := c.says(ask("CreateHIT", newHIT("1")...), "Message"); got != `The value "USD" is not valid for the parameter Reward.CurrencyCode. Expected values EUR.` {
		t.Errorf("it is refused with %s", got)
	}
	hit := c.says(ask("CreateHIT", replaced(newHIT("1"), "Reward.1.CurrencyCode", "EUR")...), "HITId")
	if got := c.says(ask("GetHIT", "HITId", hit), "FormattedPrice"); got != "1.00 EUR" {
		t.Errorf("the reward is %s", got)
	}
	if got := c.says(ask("GetAccountBalance"), "FormattedPrice"); got != "1,232.80 EUR" {
		t.Errorf("the balance is %s", got)
	}
	if got := c.says(ask("GetAccountBalance"), "CurrencyCode"); got != "EUR" {
		t.Errorf("the currency is %s", got)
	}
	c.work(hit, "A1") // a worker is paid in it
	c.says(ask("DisableHIT", "HITId", hit), "IsValid")
	earned, err := desk.Earned(t.Context(), w.Tenant.Number, "A1")
	if err != nil || len(earned) != 1 || earned[0].Unit.Code != "EUR" || earned[0].Unit.Text(earned[0].Available) != "1.000000" {
		t.Errorf("%+v, %v", earned, err)
	}
}
