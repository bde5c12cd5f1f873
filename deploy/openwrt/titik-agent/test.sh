#!/bin/sh
# What OpenWrt's build system runs where the package was installed: its name, and its version.

case "$1" in
titik-agent)
	titik-agent --version | grep -F "$2" || exit 1
	# All that a running agent imports; an import of the broker's client is late.
	python3 -c 'import paho.mqtt.client, ssl, titik_agent.assemble, titik_agent.commands'
	;;
titik-agent-probe)
	python3 -c 'import titik_agent.probe.round'
	;;
esac
