package ledgertest

import (
	"fmt"
	"math/big"
	"reflect"
	"strings"

	"saldo/money"
)

func amountOf(n *big.Int) money.Amount {
	a, ok := money.FromBig(n)
	if !ok {
		panic("ledgertest: the model has more than fits: " + n.String())
	}
	return a
}

var (
	typeAmount = reflect.TypeFor[money.Amount]()
	typeSalt   = reflect.TypeFor[[16]byte]()
)

// deepCopy returns a copy that shares no memory with v.
func deepCopy(v reflect.Value) reflect.Value {
	if v.Type() == typeAmount {
		return v
	}
	switch v.Kind() {
	case reflect.Pointer, reflect.Interface:
		if v.IsNil() {
			return v
		}
		inner := deepCopy(v.Elem())
		if v.Kind() == reflect.Interface {
			return inner
		}
		p := reflect.New(v.Type().Elem())
		p.Elem().Set(inner)
		return p
	case reflect.Struct:
		s := reflect.New(v.Type()).Elem()
		for i := range v.NumField() {
			if s.Field(i).CanSet() {
				s.Field(i).Set(deepCopy(v.Field(i)))
			}
		}
		return s
	case reflect.Slice:
		if v.IsNil() {
			return v
		}
		s := reflect.MakeSlice(v.Type(), v.Len(), v.Len())
		for i := range v.Len() {
			s.Index(i).Set(deepCopy(v.Index(i)))
		}
		return s
	}
	return v
}

// describe writes what v holds, pointers followed; salts are left out.
func describe(b *strings.Builder, v reflect.Value) {
	switch v.Kind() {
	case reflect.Pointer, reflect.Interface:
		if v.IsNil() {
			b.WriteString("nil ")
			return
		}
		describe(b, v.Elem())
	case reflect.Struct:
		b.WriteString(v.Type().Name() + "{")
		if v.Type() == typeAmount {
			fmt.Fprint(b, v.Interface())
		} else {
			for i := range v.NumField() {
				describe(b, v.Field(i))
			}
		}
		b.WriteString("} ")
	case reflect.Slice:
		if v.Type().Elem().Kind() == reflect.Uint8 {
			fmt.Fprintf(b, "%q ", v.Bytes())
			return
		}
		fmt.Fprint(b, v.Len(), "[")
		for i := range v.Len() {
			describe(b, v.Index(i))
		}
		b.WriteString("] ")
	default:
		if v.Type() != typeSalt {
			fmt.Fprintf(b, "%q ", fmt.Sprint(v))
		}
	}
}
