package frontier

import (
	"context"
	"net/http"

	"connectrpc.com/connect"
	"google.golang.org/protobuf/types/known/timestamppb"

	"saldo/auth"
	frontierv1beta1 "saldo/dialect/frontier/proto/raystack/frontier/v1beta1"
)

// serveMethods makes the endpoints of every method: the table of what is served.
// A route may have been that of some releases only; each is served.
func (s *server) serveMethods(o connect.HandlerOption) {
	const (
		orgs    = "/v1beta1/organizations"
		org     = orgs + "/{org_id}"
		billing = org + "/billing"
		admin   = "/v1beta1/admin/organizations/{org_id}/billing"
		users   = "/v1beta1/serviceusers"
	)
	s.wrong = &endpoint{rest: true, operation: s.operation("restWrongMethod"), handler: http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		callOf(r.Context()).refuseREST(refuse(wrongMethod))
	})}

	serve(s, o, method[frontierv1beta1.GetBillingBalanceRequest, frontierv1beta1.GetBillingBalanceResponse]{
		service, "GetBillingBalance", checkBalance, getBillingBalance, nil}) // [server.restBalance] is its REST
	serve(s, o, method[usageRequest, usageReply]{service, "CreateBillingUsage", checkUsage, createBillingUsage,
		[]string{"POST " + billing + "/{billing_id}/usages *", "POST " + orgs + "/billing/usages *"}})
	serve(s, o, method[revertRequest, revertReply]{adminService, "RevertBillingUsage", checkRevert, revertBillingUsage,
		[]string{"POST " + admin + "/{billing_id}/usage/{usage_id}/revert *", "POST " + orgs + "/billing/usages/revert *"}})
	serve(s, o, method[transactionsRequest, transactionsReply]{service, "ListBillingTransactions", checkTransactions, listBillingTransactions,
		[]string{"GET " + billing + "/{billing_id}/transactions", "GET " + billing + "/transactions"}})
	serve(s, o, method[totalRequest, totalReply]{service, "TotalDebitedTransactions", checkTotal, totalDebitedTransactions,
		[]string{"GET " + billing + "/{billing_id}/debited_transactions_total"}})
	serve(s, o, method[entitlementRequest, entitlementReply]{service, "CheckCreditEntitlement", checkEntitlement, checkCreditEntitlement,
		[]string{"POST /v1beta1/billing/check *"}})

	serve(s, o, method[frontierv1beta1.CreateBillingAccountRequest, frontierv1beta1.CreateBillingAccountResponse]{
		service, "CreateBillingAccount", checkCreateAccount, createBillingAccount, []string{"POST " + billing + " *"}})
	serve(s, o, method[frontierv1beta1.ListBillingAccountsRequest, frontierv1beta1.ListBillingAccountsResponse]{
		service, "ListBillingAccounts", checkListAccounts, listBillingAccounts, []string{"GET " + billing}})
	serve(s, o, method[frontierv1beta1.GetBillingAccountRequest, frontierv1beta1.GetBillingAccountResponse]{
		service, "GetBillingAccount", checkGetAccount, getBillingAccount, []string{"GET " + billing + "/{id}"}})
	serve(s, o, method[frontierv1beta1.UpdateBillingAccountRequest, frontierv1beta1.UpdateBillingAccountResponse]{
		service, "UpdateBillingAccount", checkUpdateAccount, updateBillingAccount, []string{"PUT " + billing + "/{id} *"}})
	serve(s, o, method[frontierv1beta1.DeleteBillingAccountRequest, frontierv1beta1.DeleteBillingAccountResponse]{
		service, "DeleteBillingAccount", checkDelete, deleteBillingAccount, []string{"DELETE " + billing + "/{id}"}})
	serve(s, o, method[frontierv1beta1.EnableBillingAccountRequest, frontierv1beta1.EnableBillingAccountResponse]{
		service, "EnableBillingAccount", checkEnable, enableBillingAccount, []string{"POST " + billing + "/{id}/enable *"}})
	serve(s, o, method[frontierv1beta1.DisableBillingAccountRequest, frontierv1beta1.DisableBillingAccountResponse]{
		service, "DisableBillingAccount", checkDisable, disableBillingAccount, []string{"POST " + billing + "/{id}/disable *"}})
	serve(s, o, method[frontierv1beta1.ListAllBillingAccountsRequest, frontierv1beta1.ListAllBillingAccountsResponse]{
		adminService, "ListAllBillingAccounts", nil, listAllBillingAccounts, []string{"GET /v1beta1/admin/billing/accounts"}})
	serve(s, o, method[frontierv1beta1.GetBillingAccountDetailsRequest, frontierv1beta1.GetBillingAccountDetailsResponse]{
		adminService, "GetBillingAccountDetails", checkDetails, getBillingAccountDetails, []string{"GET " + admin + "/{id}/details"}})
	serve(s, o, method[frontierv1beta1.UpdateBillingAccountDetailsRequest, frontierv1beta1.UpdateBillingAccountDetailsResponse]{
		adminService, "UpdateBillingAccountDetails", checkUpdateDetails, updateBillingAccountDetails, []string{"PUT " + admin + "/{id}/details *"}})
	serve(s, o, method[frontierv1beta1.UpdateBillingAccountLimitsRequest, frontierv1beta1.UpdateBillingAccountLimitsResponse]{
		adminService, "UpdateBillingAccountLimits", checkLimits, updateBillingAccountLimits, []string{"PUT " + admin + "/{id}/limits *"}})

	serve(s, o, method[frontierv1beta1.CreateOrganizationRequest, frontierv1beta1.CreateOrganizationResponse]{
		service, "CreateOrganization", checkCreateOrg, createOrganization, []string{"POST " + orgs + " body"}})
	serve(s, o, method[frontierv1beta1.GetOrganizationRequest, frontierv1beta1.GetOrganizationResponse]{
		service, "GetOrganization", nil, getOrganization, []string{"GET " + orgs + "/{id}"}})
	serve(s, o, method[frontierv1beta1.ListOrganizationsRequest, frontierv1beta1.ListOrganizationsResponse]{
		service, "ListOrganizations", checkListOrgs, listOrganizations, []string{"GET " + orgs}})

	serve(s, o, method[frontierv1beta1.CreateServiceUserRequest, frontierv1beta1.CreateServiceUserResponse]{
		service, "CreateServiceUser", checkCreateUser, createServiceUser, []string{"POST " + users + " *", "POST " + org + "/serviceusers *"}})
	serve(s, o, method[frontierv1beta1.ListServiceUsersRequest, frontierv1beta1.ListServiceUsersResponse]{
		service, "ListServiceUsers", checkListUsers, listServiceUsers, []string{"GET " + users, "GET " + org + "/serviceusers"}})
	serve(s, o, method[frontierv1beta1.GetServiceUserRequest, frontierv1beta1.GetServiceUserResponse]{
		service, "GetServiceUser", nil, getServiceUser, []string{"GET " + users + "/{id}", "GET " + org + "/serviceusers/{id}"}})
	serve(s, o, method[frontierv1beta1.DeleteServiceUserRequest, frontierv1beta1.DeleteServiceUserResponse]{
		service, "DeleteServiceUser", nil, deleteServiceUser, []string{"DELETE " + users + "/{id}", "DELETE " + org + "/serviceusers/{id}"}})
	serve(s, o, method[frontierv1beta1.CreateServiceUserCredentialRequest, frontierv1beta1.CreateServiceUserCredentialResponse]{
		service, "CreateServiceUserCredential", nil, createSecret,
		[]string{"POST " + users + "/{id}/secrets *", "POST " + org + "/serviceusers/{id}/secrets *"}})
	serve(s, o, method[frontierv1beta1.ListServiceUserCredentialsRequest, frontierv1beta1.ListServiceUserCredentialsResponse]{
		service, "ListServiceUserCredentials", nil, listSecrets,
		[]string{"GET " + users + "/{id}/secrets", "GET " + org + "/serviceusers/{id}/secrets"}})
	serve(s, o, method[frontierv1beta1.DeleteServiceUserCredentialRequest, frontierv1beta1.DeleteServiceUserCredentialResponse]{
		service, "DeleteServiceUserCredential", nil, deleteSecret,
		[]string{"DELETE " + users + "/{id}/secrets/{secret_id}", "DELETE " + org + "/serviceusers/{id}/secrets/{secret_id}"}})
	serve(s, o, method[frontierv1beta1.CreateServiceUserTokenRequest, frontierv1beta1.CreateServiceUserTokenResponse]{
		service, "CreateServiceUserToken", nil, createToken,
		[]string{"POST " + users + "/{id}/tokens *", "POST " + org + "/serviceusers/{id}/tokens *"}})
	serve(s, o, method[frontierv1beta1.ListServiceUserTokensRequest, frontierv1beta1.ListServiceUserTokensResponse]{
		service, "ListServiceUserTokens", nil, listTokens,
		[]string{"GET " + users + "/{id}/tokens", "GET " + org + "/serviceusers/{id}/tokens"}})
	serve(s, o, method[frontierv1beta1.DeleteServiceUserTokenRequest, frontierv1beta1.DeleteServiceUserTokenResponse]{
		service, "DeleteServiceUserToken", nil, deleteToken,
		[]string{"DELETE " + users + "/{id}/tokens/{token_id}", "DELETE " + org + "/serviceusers/{id}/tokens/{token_id}"}})

	s.serveProviders()
	s.sortRoutes()
}

// serveProviders makes the endpoints of what needs a payment provider, or is
// about what only one has: they say so.
func (s *server) serveProviders() {
	const billing = "/v1beta1/organizations/{org_id}/billing"
	calls := s.operation("needsProvider")
	for _, name := range []string{
		"FrontierService/RegisterBillingAccount", "FrontierService/HasTrialed",
		"FrontierService/GetSubscription", "FrontierService/ListSubscriptions", "FrontierService/CancelSubscription",
		"FrontierService/ChangeSubscription", "FrontierService/UpdateSubscription",
		"FrontierService/CreateProduct", "FrontierService/ListProducts", "FrontierService/GetProduct", "FrontierService/UpdateProduct",
		"FrontierService/CreateFeature", "FrontierService/ListFeatures", "FrontierService/GetFeature", "FrontierService/UpdateFeature",
		"FrontierService/CreatePlan", "FrontierService/UpdatePlan", "FrontierService/ListPlans", "FrontierService/GetPlan",
		"FrontierService/CreateCheckout", "FrontierService/ListCheckouts", "FrontierService/GetCheckout",
		"FrontierService/CheckFeatureEntitlement", "FrontierService/ListInvoices", "FrontierService/GetUpcomingInvoice", "FrontierService/SearchOrganizationInvoices",
		"FrontierService/BillingWebhookCallback",
		"AdminService/CreatePlan", "AdminService/UpdatePlan", "AdminService/ListAllPlans",
		"AdminService/DelegatedCheckout", "AdminService/ListAllInvoices", "AdminService/GenerateInvoices",
		"AdminService/SearchInvoices", "AdminService/SearchOrganizationInvoices",
	} {
		s.calls["/raystack.frontier.v1beta1."+name] = &endpoint{handler: s.unimplemented(noProvider), operation: calls}
	}
	for _, path := range []string{
		billing + "/{id}/register", billing + "/{id}/plans/{plan_id}/trialed", billing + "/{billing_id}/check", "/v1beta1/organizations/billing/check",
		billing + "/{billing_id}/subscriptions", billing + "/{billing_id}/subscriptions/{id}", billing + "/{billing_id}/subscriptions/{id}/cancel",
		billing + "/{billing_id}/subscriptions/{id}/change", billing + "/subscriptions", billing + "/subscriptions/{id}",
		billing + "/subscriptions/{id}/cancel", billing + "/subscriptions/{id}/change",
		billing + "/{billing_id}/checkouts", billing + "/{billing_id}/checkouts/{id}", billing + "/checkouts", billing + "/checkouts/{id}",
		billing + "/{billing_id}/invoices", billing + "/{billing_id}/invoices/upcoming", billing + "/invoices", billing + "/invoices/upcoming",
		"/v1beta1/billing/products", "/v1beta1/billing/products/{id}", "/v1beta1/billing/features", "/v1beta1/billing/features/{id}",
		"/v1beta1/billing/plans", "/v1beta1/billing/plans/{id}", "/v1beta1/billing/webhooks/callback/{provider}",
		"/v1beta1/admin/organizations/{org_id}/billing/{billing_id}/checkouts", "/v1beta1/admin/organizations/{org_id}/billing/checkouts",
		"/v1beta1/admin/billing/invoices", "/v1beta1/admin/billing/invoices/generate",
	} {
		for _, method := range []string{http.MethodGet, http.MethodPost, http.MethodPut} {
			s.addRoute(method+" "+path, "restNeedsProvider", func(*call, context.Context, string) error { return noProvider })
		}
	}
}

func checkBalance(in *frontierv1beta1.GetBillingBalanceRequest) error {
	return needUUID(in, in.Id, "id")
}

// getBillingBalance is the call of that name in Connect and gRPC. An org_id is
// passed over.
func getBillingBalance(q *request, in *frontierv1beta1.GetBillingBalanceRequest) (*frontierv1beta1.GetBillingBalanceResponse, error) {
	b, err := q.s.balance(q.ctx, q.credential, in.Id)
	if err != nil {
		return nil, err
	}
	if err := q.may(auth.Read, b.Account); err != nil {
		return nil, err
	}
	n, err := credits(&b)
	if err != nil {
		return nil, err
	}
	shown := &frontierv1beta1.BillingAccount_Balance{Amount: n, Currency: currency}
	if at := q.s.updated(&b); !at.IsZero() {
		shown.UpdatedAt = timestamppb.New(at)
	}
	return &frontierv1beta1.GetBillingBalanceResponse{Balance: shown}, nil
}
