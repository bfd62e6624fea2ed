#!/bin/sh
# Runs a command only when Haltline lets it:  HALTLINE_SESSION=s-1 gate.sh COMMAND [ARGUMENT...]
#
# Needs curl and awk. Everything comes from the environment: HALTLINE_SESSION (required), HALTLINE_URL, HALTLINE_TOKEN or
# HALTLINE_TOKEN_FILE (scope `gate`), HALTLINE_TENANT, HALTLINE_AGENT, HALTLINE_TOOL (what to call it; Bash),
# HALTLINE_TIMEOUT (seconds for one question; 5), HALTLINE_WAIT (seconds to wait for a person's yes; 0),
# HALTLINE_FAIL_OPEN=1 (run it although Haltline cannot be asked). The command does not get the token.
#
# Exit code: the command's own, or, when it was not run:
#   64 wrong use   69 Haltline cannot be asked   75 a person has not answered   76 approved as a rehearsal only
#   77 refused     79 the session is halted
set -u

newline='
'

stop() {
  printf 'gate.sh: %s\n' "$2" >&2
  exit "$1"
}

# A JSON string. The full stop behind the text keeps line breaks at its end.
json() {
  printf '%s.' "$1" | LC_ALL=C awk '
    BEGIN {
      for (code = 1; code < 32; code++) escaped[sprintf("%c", code)] = sprintf("\\u%04x", code)
      escaped["\\"] = "\\\\"
      escaped["\""] = "\\\""
    }
    NR > 1 { text = text "\\n" }
    { for (at = 1; at <= length($0); at++) { c = substr($0, at, 1); text = text (c in escaped ? escaped[c] : c) } }
    END { printf "\"%s\"", substr(text, 1, length(text) - 1) }'
}

# A word as one would type it.
typed() {
  case $1 in
    '' | *[!A-Za-z0-9_@%+=:,./-]*) printf "'%s'" "$(printf '%s' "$1" | sed "s/'/'\\\\''/g")" ;;
    *) printf '%s' "$1" ;;
  esac
}

# One request; sets $answer, fails where there is none. The token goes by standard input: arguments can be seen by others.
ask() {
  seconds=$1 path=$2
  shift 2
  answer=$(
    if [ -n "$token" ]; then printf 'header = "Authorization: Bearer %s"\n' "$token"; fi |
      curl -q --silent --config - --proto '=http,https' --max-time "$seconds" --write-out '\n%{http_code}' \
        --header 'Content-Type: application/json' "$@" "$url$path"
  ) || return 1
  status=${answer##*"$newline"}
  [ "$status" = 200 ] || return 1
}

# Asks the gate. Quotes within texts of the answer are escaped, so what is looked for can only be a field.
gate() {
  asked=${confirmation:+,\"confirmation\":\"$confirmation\"}
  ask "$timeout" /v1/gate --data-binary "{$question$asked}" || return 1
  reason=$(printf '%s' "$answer" | sed -n 's/.*"reason":"\([^"\\]*\).*/\1/p')
}

[ $# -gt 0 ] || stop 64 "expected a command to run"
case $1 in -*) stop 64 "expected a command, got an option: everything is set in the environment" ;; esac
[ -n "${HALTLINE_SESSION:-}" ] || stop 64 "expected HALTLINE_SESSION"
url=${HALTLINE_URL:-http://127.0.0.1:8088}
timeout=${HALTLINE_TIMEOUT:-5}
token=${HALTLINE_TOKEN:-}
if [ -n "${HALTLINE_TOKEN_FILE:-}" ]; then
  token=$(cat "$HALTLINE_TOKEN_FILE") || stop 64 "expected a token in HALTLINE_TOKEN_FILE"
fi
case $token in *[!A-Za-z0-9._~+/=-]*) stop 64 "expected a token of letters, digits and - . _ ~ + / =" ;; esac

argv='' command=''
for word do
  argv=$argv${argv:+,}$(json "$word")
  command="$command${command:+ }$(typed "$word")"
done
question="\"session\":$(json "$HALTLINE_SESSION"),\"tenant\":$(json "${HALTLINE_TENANT:-default}")"
question=$question${HALTLINE_AGENT:+,\"agent\":$(json "$HALTLINE_AGENT")}
question="$question,\"action\":{\"kind\":\"tool_call\",\"tool\":$(json "${HALTLINE_TOOL:-Bash}")"
question="$question,\"args\":{\"command\":$(json "$command"),\"argv\":[$argv]}}"

confirmation=''
if ! gate; then
  [ "${HALTLINE_FAIL_OPEN:-}" = 1 ] || stop 69 "Haltline cannot be asked; not run"
  printf 'gate.sh: Haltline cannot be asked; run all the same (HALTLINE_FAIL_OPEN=1)\n' >&2
  answer='"decision":"allow"'
fi

until_time=$(($(date +%s) + ${HALTLINE_WAIT:-0}))
while case $answer in *'"decision":"confirm"'*) true ;; *) false ;; esac do
  confirmation=$(printf '%s' "$answer" | sed -n 's/.*"id":"\(c_[A-Za-z0-9_-]*\)".*/\1/p')
  left=$((until_time - $(date +%s)))
  if [ "$left" -le 0 ] || [ -z "$confirmation" ]; then stop 75 "a person has to say yes first: $reason ($confirmation)"; fi
  if [ "$left" -gt 20 ]; then left=20; fi
  ask $((left + timeout)) "/v1/confirmations/$confirmation?wait=$left" --get || stop 69 "Haltline cannot be asked; not run"
  gate || stop 69 "Haltline cannot be asked; not run"
done

case $answer in
  *'"halted":true'*) stop 79 "the session is halted: $reason" ;;
  *'"dry_run":true'*) stop 76 "approved as a rehearsal only" ;;
  *'"decision":"allow"'*) ;;
  *'"decision":"deny"'*) stop 77 "refused: $reason" ;;
  *) stop 69 "expected a decision of Haltline; not run" ;;
esac
unset HALTLINE_TOKEN HALTLINE_TOKEN_FILE
exec "$@"
