"""The fleet: engines that turn ticks into orders, and the queue workers that run them under the kill switch."""
