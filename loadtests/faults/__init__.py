"""What happens to chats and memories while parts of the deployment fail: `python -m loadtests faults`."""
