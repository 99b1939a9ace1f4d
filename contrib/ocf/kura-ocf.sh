#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# What the agents kura-target, kura-lun and kura-pool share: codes of OCF 1.1, words for the log, and the tool.
# It is read by them and does nothing of its own.
# shellcheck disable=SC2034

OCF_SUCCESS=0
OCF_ERR_GENERIC=1
OCF_ERR_UNIMPLEMENTED=3
OCF_ERR_INSTALLED=5
OCF_ERR_CONFIGURED=6
OCF_NOT_RUNNING=7

# Exit statuses of the tool, kura(8).
KURA_NOT_FOUND=3
KURA_NO_DAEMON=5

: "${OCF_ROOT:=/usr/lib/ocf}"
: "${OCF_RESKEY_kura:=kura}"
: "${OCF_RESKEY_socket:=/run/kura/control}"
: "${OCF_RESKEY_state:=/var/lib/kura}"

# The cluster's own words, where they are.
if [ -r "$OCF_ROOT/lib/heartbeat/ocf-shellfuncs" ]; then
	: "${OCF_FUNCTIONS_DIR:=$OCF_ROOT/lib/heartbeat}"
	# shellcheck source=/dev/null
	. "$OCF_FUNCTIONS_DIR/ocf-shellfuncs"
fi
command -v ocf_log >/dev/null 2>&1 || ocf_log() {
	echo "$1: $2" >&2
}
command -v ocf_exit_reason >/dev/null 2>&1 || ocf_exit_reason() {
	echo "ocf-exit-reason:$*" >&2
}

# Runs a verb; a refusal is the reason that the cluster shows. What it says on success is not needed.
# "$kura_out" is what it printed.
kura_run() {
	kura_rc=0
	kura_out=$("$OCF_RESKEY_kura" --socket "$OCF_RESKEY_socket" "$@" 2>&1) || kura_rc=$?
	return $kura_rc
}

# The same, and the end of the action when it is refused.
kura_must() {
	kura_run "$@" && return
	ocf_exit_reason "$kura_out"
	exit $OCF_ERR_GENERIC
}

# Without a kurad nothing is served. What verbs made comes back when it is started, though, so what
# it would serve then has not been stopped.
kura_stopped_without_daemon() { # object
	if grep -qsF "\"$1\"" "$OCF_RESKEY_state/managed.conf"; then
		ocf_exit_reason "no kurad answers at $OCF_RESKEY_socket, and" \
			"$OCF_RESKEY_state/managed.conf would serve $1 when one is started"
		return $OCF_ERR_GENERIC
	fi
	return $OCF_SUCCESS
}

# An iSCSI name as kurad keeps it.
kura_lower() { # name
	printf '%s\n' "$1" | tr '[:upper:]' '[:lower:]'
}

kura_validate() {
	if ! command -v "$OCF_RESKEY_kura" >/dev/null 2>&1; then
		ocf_exit_reason "$OCF_RESKEY_kura is not installed"
		return $OCF_ERR_INSTALLED
	fi
	for name in "$@"; do
		eval "value=\${OCF_RESKEY_$name:-}"
		if [ -z "$value" ]; then
			ocf_exit_reason "the parameter $name is needed"
			return $OCF_ERR_CONFIGURED
		fi
	done
	return $OCF_SUCCESS
}

# The parameters of all, and the actions, in the metadata.
kura_common_parameters() {
	cat <<END
<parameter name="kura" required="0">
<longdesc lang="en">The tool kura, by its name or path.</longdesc>
<shortdesc lang="en">tool</shortdesc>
<content type="string" default="kura"/>
</parameter>
<parameter name="socket" required="0">
<longdesc lang="en">Where kurad answers.</longdesc>
<shortdesc lang="en">control socket</shortdesc>
<content type="string" default="/run/kura/control"/>
</parameter>
<parameter name="state" required="0">
<longdesc lang="en">The state directory of kurad. Its managed.conf tells, when no kurad answers,
whether one that is started would serve the resource.</longdesc>
<shortdesc lang="en">state directory</shortdesc>
<content type="string" default="/var/lib/kura"/>
</parameter>
END
}

kura_actions() {
	cat <<END
<actions>
<action name="start" timeout="30s"/>
<action name="stop" timeout="60s"/>
<action name="monitor" timeout="20s" interval="10s" depth="0"/>
<action name="validate-all" timeout="10s"/>
<action name="meta-data" timeout="5s"/>
</actions>
END
}

# One action by the functions that an agent has for it.
kura_action() { # action
	case ${1:-} in
	meta-data)
		agent_metadata
		;;
	usage | help)
		echo "usage: $0 {start|stop|monitor|validate-all|meta-data}"
		;;
	start)
		agent_validate && agent_start
		;;
	stop)
		agent_validate && agent_stop
		;;
	monitor)
		agent_validate && agent_monitor
		;;
	validate-all)
		agent_validate
		;;
	*)
		echo "usage: $0 {start|stop|monitor|validate-all|meta-data}" >&2
		return $OCF_ERR_UNIMPLEMENTED
		;;
	esac
}
